"""Actor processes: their main function, the pool that supervises them, and the channel that brings them weights.

    rank (main thread)                                     actor 0 .. A-1 (spawned, one per core)
      ActorPool.poll    <-- episodes, metrics -- socket --   actor_main: receive weights, play, send
      ActorPool.start_round -- commands -------- socket -->  (schedule "rounds" only)
      WeightsChannel.publish -- shared memory ------------>  WeightsChannel.receive

    evaluator (one per rank, if actors do not evaluate by themselves)
      evaluator_main: receive weights, evaluate <-- Exchange: positions and answers in shared memory --> actors

Called by training/. Never imports torch or hydra itself: the factory imports what the actor needs in its process.

Python's start method *spawn* imports the program's main module again in every actor, under the name `__mp_main__`.
A program that owns a pool therefore keeps its top level light: imports of the standard library, functions, and
`if __name__ == "__main__": main()`; torch, hydra and the rest are imported inside main().
"""

from ddpzero.actors.evaluator import EvaluatorSpec
from ddpzero.actors.pool import ActorError, ActorPool
from ddpzero.actors.spec import Actor, ActorSpec
from ddpzero.actors.weights import NOTHING_PUBLISHED, WeightsChannel
from ddpzero.system.cores import default_num_actors
from ddpzero.system.seeds import derive_seed

__all__ = [
    "NOTHING_PUBLISHED",
    "Actor",
    "ActorError",
    "ActorPool",
    "ActorSpec",
    "EvaluatorSpec",
    "WeightsChannel",
    "default_num_actors",
    "derive_seed",
]
