"""A memory keeps what is used and forgets the rest."""

from ablate.data.cache import Memory


def test_the_least_recently_used_goes_first():
    memory = Memory(len, limit=5)
    made = []

    def make(value):
        made.append(value)
        return value

    for key in ("aa", "bb", "aa", "cc", "aa", "bb"):
        memory.get(key, lambda key=key: make(key))
    assert made == ["aa", "bb", "cc", "bb"]


def test_the_newest_stays_however_large():
    memory = Memory(len, limit=1)
    assert memory.get("k", lambda: "large") == "large"
    assert memory.get("k", lambda: "never made") == "large"
    memory.clear()
    assert memory.get("k", lambda: "anew") == "anew"
