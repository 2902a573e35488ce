"""One reader of the published logs, for ever. `python -m tests.hammer.reading FILE SEED LOG_FOLDER VKEY_FILE …`.

FILE holds how many heads it saw and entries it proved; this process ends by an error at the first thing that is wrong.
"""

import random
import sys
import time
from pathlib import Path

from registry.tlog.vkeys import Verifier
from tests.published import Reader


def main(told: Path, seed: int, *places: str) -> None:
    draw = random.Random(seed)
    readers = [
        Reader(Path(folder), [Verifier.parse(Path(key).read_text().strip())])
        for folder, key in zip(places[::2], places[1::2], strict=True)
    ]
    while True:
        for reader in readers:
            reader.look(draw.randrange)
        told.write_text(f"{sum(r.heads for r in readers)} {sum(r.proved for r in readers)}")
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
