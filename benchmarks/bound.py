"""The silhouette of generated cells beside what its arithmetic alone costs, in turn, in this process.

    python benchmarks/bound.py --cells 20000

The bound is half of all pairs: float32 matrix products of square tiles, and their square roots, on all threads, without
distances, sums or labels. Of several tile sizes the fastest counts. Its last line is ``RESULT`` and JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

TILES = (256, 512, 1024, 2048)


def half_of_all_pairs(points: NDArray[np.float32], tile: int, pool: ThreadPoolExecutor) -> int:
    """Compute the square roots of the products of every pair of points once; return how many there were."""
    n = len(points)

    def row_of_tiles(start: int) -> int:
        rows = points[start : start + tile]
        space = np.empty((len(rows), tile), dtype=np.float32)
        pairs = 0
        for low in range(start, n, tile):
            columns = points[low : low + tile]
            products = space[:, : len(columns)]
            np.matmul(rows, columns.T, out=products)
            np.sqrt(products, out=products)
            pairs += products.size
        return pairs

    return sum(pool.map(row_of_tiles, range(0, n, tile)))


def seconds(call: Callable[[], Any]) -> float:
    """Return the wall time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure(n: int, d: int, repeat: int, tiles: Sequence[int] = TILES) -> dict[str, Any]:
    """Return every time of the bound and of the silhouette, and the tile the bound did best with."""
    import cells
    from threadpoolctl import threadpool_limits

    from czbenchmarks.kernels.parallel import num_threads
    from czbenchmarks.kernels.silhouette import silhouette_samples

    made = cells.embedding(n, d)
    codes = np.unique(made.labels, return_inverse=True)[1].astype(np.int64)
    points = made.X - made.X.min() + np.float32(1)  # every product is positive, so no root is undefined
    bound: list[float] = []
    ours: list[float] = []
    with ThreadPoolExecutor(num_threads()) as pool:

        def bare(tile: int) -> float:
            with threadpool_limits(limits=1):  # the tiles have the threads
                return seconds(lambda: half_of_all_pairs(points, tile, pool))

        tried = {size: min(bare(size) for _ in range(3)) for size in tiles}
        tile = min(tried, key=lambda size: tried[size])
        silhouette_samples(made.X, codes)  # compiles, or reads what is compiled
        for _ in range(repeat):
            bound.append(bare(tile))
            ours.append(seconds(lambda: silhouette_samples(made.X, codes)))
    return {
        "bound_s": bound, "ours_s": ours, "tile": tile, "tiles_s": tried, "threads": num_threads(),
        "labels": int(codes.max()) + 1, "ratio": statistics.median(ours) / statistics.median(bound),
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--dims", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--tiles", type=int, nargs="+", default=TILES, help="rows of a tile; the fastest counts")
    given = parser.parse_args()
    print("RESULT " + json.dumps(measure(given.cells, given.dims, given.repeat, given.tiles)), flush=True)


if __name__ == "__main__":
    main()
