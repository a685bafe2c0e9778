"""mctx and pgx, measured: rules by random play, and the search with a network. See protocol.py.

A batch of games is one compiled program on one core, as these libraries are meant to be used. It gets the batch, the
number of simulations and the dtype that are fastest here. Run by the Python of an environment that has both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from protocol import Counts, Prepared, Problem, Variant, fastest, pin, serve, versions_of

_PACKAGES = ("mctx", "pgx", "jax")
_RULES_BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
# Steps of all games in one call of a compiled program.
_RULES_STEPS = 16_384
# Numbers of simulations that are tried besides the configured one.
_FEW_SIMULATIONS = (32, 64)
_MAX_RANDOM_PLIES = 8


def prepare_rules(request: Mapping[str, Any]) -> Prepared:
    """Random play with pgx: legal mask, uniform choice, step, and a new game after the end."""
    _on_one_core(request)
    import jax

    env = _environment(request["game"], request["max_plies"])

    @cache
    def run_of(batch_size: int) -> Callable[[], Counts]:
        states, keys = _initial_states(env, batch_size), jax.random.key(request["seed"])
        num_steps = max(1, _RULES_STEPS // batch_size)
        play = jax.jit(partial(_play_randomly, env, num_steps=num_steps))
        # Each call continues where the last one ended.
        running = [states, keys]

        def run() -> Counts:
            running[:] = jax.block_until_ready(play(*running))
            return {"steps": batch_size * num_steps}

        return run

    batch_size = fastest(_RULES_BATCHES, run_of, "steps")
    best = Variant(run_of(batch_size), {"batch_size": batch_size, **_game(env)})
    return Prepared(versions_of(_PACKAGES), {"best": best})


def prepare_search(request: Mapping[str, Any]) -> Prepared:
    """Search from the same positions again and again; each simulation evaluates one position with the network."""
    _on_one_core(request)
    import jax
    import jax.numpy as jnp
    import jax_network

    env = _environment(request["game"], request["max_plies"])
    num_simulations = request["search"]["num_simulations"]
    planes = env.observation_shape
    parameters = jax_network.make_parameters(
        request["network"],
        planes[:2],
        planes[2],
        env.num_actions,
        request["game"]["name"] == "connect_four",
        request["seed"],
    )
    of_dtype = {name: jax_network.cast(parameters, name) for name in ("float32", "bfloat16")}

    def forward_of(dtype: str) -> Callable[[], Counts]:
        batch_size = max(request["batches"])
        inputs = jnp.zeros((batch_size, *planes), dtype)
        forward = jax.jit(jax_network.forward)

        def run() -> Counts:
            jax.block_until_ready(forward(of_dtype[dtype], inputs))
            return {"evaluations": batch_size}

        return run

    # Compiled once each: what was tried is what is measured.
    @cache
    def run_of(dtype: str, batch_size: int, simulations: int) -> Callable[[], Counts]:
        evaluate = partial(jax_network.forward, of_dtype[dtype])
        states = _random_states(env, batch_size, request["seed"])
        search = jax.jit(
            partial(_search, env, evaluate, dtype, request["search"], num_simulations=simulations)
        )
        keys = iter(jax.random.split(jax.random.key(request["seed"]), 1 << 16))

        def run() -> Counts:
            jax.block_until_ready(search(states, next(keys)))
            return {
                "simulations": batch_size * simulations,
                "evaluations": batch_size * (simulations + 1),
            }

        return run

    def variant(dtype: str, batch_size: int, simulations: int) -> Variant:
        run = run_of(dtype, batch_size, simulations)
        run()
        conditions = {
            "batch_size": batch_size,
            "num_simulations": simulations,
            "precision": dtype,
            "parameters": jax_network.num_parameters(parameters),
            **_game(env),
        }
        return Variant(run, conditions)

    dtype = fastest(of_dtype, forward_of, "evaluations")
    few = min(_FEW_SIMULATIONS[0], num_simulations)
    batch_size = fastest(
        request["batches"], lambda size: run_of(dtype, size, few), "simulations", 2.0
    )
    tried = sorted({*(min(few, num_simulations) for few in _FEW_SIMULATIONS), num_simulations})
    best = fastest(tried, lambda number: run_of(dtype, batch_size, number), "simulations", 2.0)
    variants = {"best": variant(dtype, batch_size, best)}
    if best != num_simulations:
        variants["same_simulations"] = variant(dtype, batch_size, num_simulations)
    if dtype != "float32":
        variants["float32"] = variant("float32", batch_size, best)
    return Prepared(versions_of(_PACKAGES), variants)


def _on_one_core(request: Mapping[str, Any]) -> None:
    """Set what jax reads when it is imported."""
    pin(request["core"])
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    os.environ["JAX_PLATFORMS"] = "cpu"
    # The fastest of its generators.
    os.environ["JAX_DEFAULT_PRNG_IMPL"] = "unsafe_rbg"


def _environment(game: Mapping[str, Any], max_plies: int) -> Any:
    """Return pgx's environment of the same rules. Raises Problem if it has none."""
    import pgx
    from pgx.go import Go

    name = game["name"]
    if name == "go" and game["handicap"] == 0 and not game["suicide"]:
        return Go(size=game["size"], komi=game["komi"], max_terminal_steps=max_plies)
    standard = {
        "connect_four": {"rows": 6, "columns": 7, "line": 4},
        "othello": {"size": 8},
        "tic_tac_toe": {},
    }
    if name not in standard or any(game[key] != of for key, of in standard[name].items()):
        raise Problem(f"pgx has no {name} with these settings")
    return pgx.make(name)


def _game(env: Any) -> dict[str, Any]:
    """Return what the library's game is, where it may differ from ours."""
    return {"planes": env.observation_shape[2]}


def _initial_states(env: Any, batch_size: int) -> Any:
    import jax

    states = jax.vmap(env.init)(jax.random.split(jax.random.key(0), batch_size))
    return _without_observation(states)


def _without_observation(states: Any) -> Any:
    """Return states that carry no observation: nothing reads it after the network has."""
    import jax.numpy as jnp

    return states.replace(observation=jnp.zeros(len(states.terminated)))


def _random_action(legal: Any, key: Any) -> Any:
    """Return for each row of legal masks `[B, A]` one of the legal actions, all equally likely."""
    import jax
    import jax.numpy as jnp

    numbers = jnp.cumsum(legal, axis=1)
    chosen = jnp.floor(jax.random.uniform(key, (len(legal), 1)) * numbers[:, -1:])
    return jnp.argmax(numbers > chosen, axis=1)


def _play_randomly(env: Any, states: Any, key: Any, num_steps: int) -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp

    # Of one player order: drawing it anew would only cost time.
    fresh = jax.tree.map(lambda leaf: leaf[:1], _initial_states(env, 1))

    def step(_: int, running: tuple[Any, Any]) -> tuple[Any, Any]:
        states, key = running
        key, own = jax.random.split(key)
        actions = _random_action(states.legal_action_mask, own)
        states = _without_observation(jax.vmap(env.step)(states, actions))

        def restart(old: Any, new: Any) -> Any:
            ended = states.terminated.reshape((-1,) + (1,) * (old.ndim - 1))
            return jnp.where(ended, new, old)

        return jax.tree.map(restart, states, fresh), key

    return jax.lax.fori_loop(0, num_steps, step, (states, key))


def _random_states(env: Any, batch_size: int, seed: int) -> Any:
    """Return states after 0 to 8 random plies; none of them is terminal."""
    import jax
    import jax.numpy as jnp

    states = _initial_states(env, batch_size)
    key, own = jax.random.split(jax.random.key(seed))
    lengths = jax.random.randint(own, (batch_size,), 0, _MAX_RANDOM_PLIES + 1)
    step = jax.jit(jax.vmap(env.step))
    for ply in range(_MAX_RANDOM_PLIES):
        key, own = jax.random.split(key)
        after = step(states, _random_action(states.legal_action_mask, own))
        goes_on = (ply < lengths) & ~after.terminated

        def choose(old: Any, new: Any, goes_on: Any = goes_on) -> Any:
            return jnp.where(goes_on.reshape((-1,) + (1,) * (old.ndim - 1)), new, old)

        states = jax.tree.map(choose, states, _without_observation(after))
    return states


def _search(
    env: Any,
    evaluate: Callable[[Any], tuple[Any, Any]],
    dtype: str,
    settings: Mapping[str, Any],
    states: Any,
    key: Any,
    num_simulations: int,
) -> Any:
    """Return the actions that the search chooses."""
    import jax
    import jax.numpy as jnp
    import mctx

    def evaluated(states: Any, observation: Any) -> tuple[Any, Any]:
        logits, value = evaluate(observation.astype(dtype))
        return jnp.where(states.legal_action_mask, logits, jnp.finfo(logits.dtype).min), value

    def recurrent(_: Any, __: Any, actions: Any, states: Any) -> tuple[Any, Any]:
        movers = states.current_player
        states = jax.vmap(env.step)(states, actions)
        logits, value = evaluated(states, states.observation)
        rewards = jnp.take_along_axis(states.rewards, movers[:, None], axis=1)[:, 0]
        output = mctx.RecurrentFnOutput(
            reward=rewards,
            discount=jnp.where(states.terminated, 0.0, -1.0),
            prior_logits=logits,
            value=jnp.where(states.terminated, 0.0, value),
        )
        return output, _without_observation(states)

    logits, value = evaluated(states, jax.vmap(env.observe)(states))
    root = mctx.RootFnOutput(prior_logits=logits, value=value, embedding=states)
    shared = {
        "params": (),
        "rng_key": key,
        "root": root,
        "recurrent_fn": recurrent,
        "num_simulations": num_simulations,
        "invalid_actions": ~states.legal_action_mask,
    }
    if settings["algorithm"] == "puct":
        return mctx.muzero_policy(
            **shared,
            dirichlet_fraction=settings["dirichlet_fraction"],
            dirichlet_alpha=settings["dirichlet_alpha"],
            pb_c_init=settings["c_puct"],
            pb_c_base=settings["c_puct_base"],
        ).action
    return mctx.gumbel_muzero_policy(
        **shared,
        max_num_considered_actions=settings["max_considered_actions"],
        gumbel_scale=settings["gumbel_scale"],
    ).action


if __name__ == "__main__":
    serve({"rules": prepare_rules, "search": prepare_search})
