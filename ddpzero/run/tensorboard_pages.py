"""What TensorBoard's plugins read of a run: descriptions of curves, the page of key metrics, the hyperparameters.

The functions return summaries, or the metadata of one, for tensorboard_events.py. Light to import.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ddpzero.system.json_text import json_text
from ddpzero.system.metric_info import PER_SECOND, Metrics, tag_regex

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

_CATEGORY = "key metrics"
# They set where and how a run is stored and logged, not how it is trained.
_NOT_HYPERPARAMETERS = ("run_name", "runs_dir", "device", "checkpoint", "logging", "sweep")


def curve_metadata(description: str) -> SummaryMetadata:
    """Return the metadata of a curve's first point.

    TensorBoard's default loader, the data server, ignores metadata without plugin and data class.
    """
    from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR
    from tensorboard.plugins.scalar.metadata import create_summary_metadata

    metadata = create_summary_metadata(display_name="", description=description)
    metadata.data_class = DATA_CLASS_SCALAR
    return metadata


def layout(metrics: Metrics) -> Summary:
    """Return the layout of the page "Custom Scalars", with the key metrics."""
    from torch.utils.tensorboard.summary import custom_scalars

    charts = {title: ["Multiline", tags] for title, tags in chart_tags(metrics).items()}
    return custom_scalars({_CATEGORY: charts})


def chart_tags(metrics: Metrics) -> dict[str, list[str]]:
    """Return title -> regular expressions of the tags in a chart.

    Key metrics of the same group and unit share a chart, except for rates, whose magnitudes differ too much.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for tag, info in metrics.items():
        if info.is_headline:
            key = (tag,) if info.unit == PER_SECOND else (tag.partition("/")[0], info.unit)
            groups.setdefault(key, []).append(tag)
    return {
        tags[0] if len(tags) == 1 else f"{tags[0].partition('/')[0]}: {_names(tags)}": [
            f"^{tag_regex(tag)}$" for tag in tags
        ]
        for tags in groups.values()
    }


def hyperparameters(config: Mapping[str, Any], start_seconds: float) -> Summary:
    """Return a run's row in the table "HParams": its settings. TensorBoard adds the newest value of each curve.

    config: the resolved config, with its `run_name`. start_seconds: Unix time.
    """
    from tensorboard.plugins.hparams import summary_v2

    values = {
        name: value
        for group, entry in config.items()
        if group not in _NOT_HYPERPARAMETERS
        for name, value in _leaves(group, entry)
    }
    return summary_v2.hparams_pb(
        values, trial_id=config.get("run_name"), start_time_secs=start_seconds
    )


def end_of_session(has_failed: bool, end_seconds: float) -> Summary:
    """Return the summary that marks the row of hyperparameters as ended. end_seconds: Unix time."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_FAILURE if has_failed else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=end_seconds)
    data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])


def _leaves(name: str, value: Any) -> Iterator[tuple[str, bool | int | float | str]]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _leaves(f"{name}.{key}", entry)
    elif isinstance(value, (bool, int, float, str)):
        yield name, value
    else:
        yield name, json_text(value)


def _names(tags: list[str]) -> str:
    return ", ".join(tag.partition("/")[2] for tag in tags)
