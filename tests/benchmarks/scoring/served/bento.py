"""A BentoML service around a booster: score only."""

import os

import bentoml
import lightgbm
import numpy as np


@bentoml.service(workers=int(os.environ["PROCESSES"]), traffic={"timeout": 60})
class Served:
    """Scores rows of features by name."""

    def __init__(self) -> None:
        self.booster = lightgbm.Booster(model_file=os.environ["MODEL_FILE"])
        self.names = [f"f{number:02}" for number in range(self.booster.num_feature())]

    @bentoml.api
    def score(self, rows: list[dict[str, float]]) -> dict:
        """Answer a score for each row."""
        matrix = np.array([[row[name] for name in self.names] for row in rows])
        return {"scores": self.booster.predict(matrix, num_threads=1).tolist()}
