"""Tree search over hundreds of games at once, compiled; games come in through the kernel contract alone."""

from ddpzero.search.search import Search, SearchResult
from ddpzero.search.settings import SearchSettings

__all__ = ["Search", "SearchResult", "SearchSettings"]
