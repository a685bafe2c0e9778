"""REINFORCE (Williams, 1992) with a value baseline and clipped importance weights, by self-play in board games.

python -m ddpzero.main algorithm=own algorithm.source=reinforce.py game=tic_tac_toe learner.schedule=rounds
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ddpzero.actors import ActorSpec
from ddpzero.algorithms.updates import NetworkUpdater
from ddpzero.games import Game, load_game
from ddpzero.networks import unpack_observations
from ddpzero.replay import Episode, Field


@dataclass(frozen=True)
class ReinforceSettings:
    hidden: int = 128  # width of the network
    entropy_weight: float = 0.1  # keeps the policy exploring


GAME_KIND = Game
SECTIONS = {"algorithm": ReinforceSettings}


def make_algorithm(game, sections):
    return Reinforce(game, sections["algorithm"])


@dataclass(frozen=True)
class Reinforce:
    game: Game
    settings: ReinforceSettings

    def sample_spec(self):
        return {
            "observation": Field((self.game.observation_size_bytes,), np.uint8, "packed planes"),
            "legal": Field((self.game.num_actions,), np.bool_, "True = legal"),
            "action": Field((), np.int64, "sampled", low=0, high=self.game.num_actions - 1),
            "log_prob": Field((), np.float32, "of the action, when it was sampled"),
            "outcome": Field((), np.float32, "return of the mover", low=-1, high=1),
            "weights_version": Field((), np.int32, "that the action was sampled with", low=0),
        }

    def make_networks(self):
        return {"network": PolicyAndValue(self.game, self.settings.hidden)}

    def make_updater(self, networks, wrap, learner, device, seed):
        return NetworkUpdater(networks["network"], wrap, learner, device, self.loss)

    def loss(self, network, batch):
        log_policy, value = network(batch["observation"], batch["legal"])
        log_prob = log_policy.gather(1, batch["action"][:, None]).squeeze(1)
        ratio, advantage = (log_prob - batch["log_prob"]).exp(), batch["outcome"] - value.detach()
        gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        value_loss = (batch["outcome"] - value).square().mean()
        entropy = -(log_policy.exp() * log_policy).sum(1).mean()
        loss = value_loss - gain - self.settings.entropy_weight * entropy
        return loss, {"losses/value": value_loss, "policy/entropy": entropy}

    def actor_spec(self, actors, device):
        arguments = {"game": self.game.arguments, "settings": self.settings, "device": device}
        return ActorSpec(f"{__name__}:Actor", arguments | {"num_games": actors.num_games})

    def make_player(self, weights, name, *, device="cpu"):
        network = self.make_networks()["network"].to(device)
        network.load_state_dict(weights)
        return Player(network, name)


class PolicyAndValue(nn.Module):
    """Packed observations and legal actions to log-probabilities `[B, A]` and the movers' values `[B]`."""

    def __init__(self, game, hidden):
        super().__init__()
        self.game, (height, width) = game, game.board_shape
        self.body = nn.Sequential(nn.Linear(game.num_inputs * height * width, hidden), nn.ReLU())
        self.body.extend([nn.Linear(hidden, hidden), nn.ReLU()])
        self.policy, self.value = nn.Linear(hidden, game.num_actions), nn.Linear(hidden, 1)

    def forward(self, observations, legal):
        features = self.body(unpack_observations(observations, self.game).flatten(1))
        logits = self.policy(features).masked_fill(~legal, -1e9)
        return logits.log_softmax(1), self.value(features).squeeze(1)

    @torch.inference_mode()
    def look(self, positions):
        """What the movers of `[n, P]` see, their legal actions `[n, A]`, and log-probabilities `[n, A]`."""
        seen = np.stack([self.game.packed_observation(row) for row in positions])
        legal = np.stack([self.game.legal_actions(row) for row in positions])
        inputs = (torch.from_numpy(array).to(self.value.weight.device) for array in (seen, legal))
        return seen, legal, self(*inputs)[0].cpu().numpy()


@dataclass(frozen=True)
class Player:
    network: PolicyAndValue
    name: str
    uses_chance: bool = False

    def choose(self, positions, rng):
        return self.network.look(positions)[2].argmax(axis=1)


class Actor:
    """Plays batches of games in lockstep from start to end, both sides by sampling from the policy."""

    def __init__(self, *, game, settings, device, num_games, rank, actor_index, seed):
        self.game, self.num_games = load_game(**game), num_games
        self.network = PolicyAndValue(self.game, settings.hidden).to(device)
        self.start_round(float("inf"), seed)

    def receive(self, arrays, weights_version):
        self.network.load_state_dict({name: torch.tensor(value) for name, value in arrays.items()})
        self.weights_version = weights_version

    def start_round(self, num_episodes, round_seed):
        self.rng, self.num_to_start = np.random.default_rng(round_seed), num_episodes

    @property
    def round_done(self):
        return self.num_to_start == 0

    def play(self):
        num_games = int(min(self.num_games, self.num_to_start))
        self.num_to_start -= num_games
        running, ended = [(position, []) for position in self.game.new_positions(num_games)], []
        while running:
            seen, legal, log_policy = self.network.look([position for position, _ in running])
            samples = (log_policy + self.rng.gumbel(size=log_policy.shape)).argmax(axis=1)
            games, running = running, []
            for i, (position, plies) in enumerate(games):
                mover, action = self.game.current_player(position), samples[i]
                plies.append((seen[i], legal[i], action, log_policy[i, action], mover))
                position = self.game.apply_action(position, action)
                (ended if self.game.is_terminal(position) else running).append((position, plies))
        return [self.episode(self.game.returns(position), plies) for position, plies in ended]

    def episode(self, returns, plies):
        names = ("observation", "legal", "action", "log_prob", "mover")
        columns = dict(zip(names, map(np.array, zip(*plies, strict=True)), strict=True))
        columns["outcome"] = returns[columns.pop("mover")]
        columns["weights_version"] = np.full(len(plies), self.weights_version, np.int32)
        return Episode(columns, {"num_plies": len(plies)})

    def take_metrics(self):
        return {}
