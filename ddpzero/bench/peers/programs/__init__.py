"""The programs that `ddpzero bench peers` measures. All but own.py run in other environments, without ddpzero."""
