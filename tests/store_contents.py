"""What a store with scores holds, wherever its rows lie."""

from pathlib import Path

from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.stores.note_store import NoteStore


def contents(folder: Path) -> dict[str, tuple[bytes, bytes]]:
    """Return features and scores of each version, by its name.

    Args:
        folder: of a drawn set.
    """
    store = FeatureStore(folder / "store")
    scores = NoteStore(store)
    return {
        entry.source: (
            store.rows(entry).tobytes(),
            scores.rows(entry, 0, entry.frames).tobytes(),
        )
        for entry in store
    }
