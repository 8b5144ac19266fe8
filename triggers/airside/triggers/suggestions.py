"""What did they mean?"""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Give `; did you mean ...?` for a word that is close to a known one, else nothing."""
    close = get_close_matches(str(word)[:80].lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""
