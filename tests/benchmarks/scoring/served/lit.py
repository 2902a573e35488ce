"""A LitServe server around a booster: score only."""

import os

import lightgbm
import litserve
import numpy as np


class Served(litserve.LitAPI):
    """Scores rows of features by name."""

    def setup(self, device: str) -> None:
        """Load the booster in a worker."""
        self.booster = lightgbm.Booster(model_file=os.environ["MODEL_FILE"])
        self.names = [f"f{number:02}" for number in range(self.booster.num_feature())]

    def decode_request(self, request: dict) -> np.ndarray:
        """Read the rows."""
        return np.array([[row[name] for name in self.names] for row in request["rows"]])

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Score them."""
        return self.booster.predict(rows, num_threads=1)

    def encode_response(self, scores: np.ndarray) -> dict:
        """Answer a score for each row."""
        return {"scores": scores.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Served(), accelerator="cpu", workers_per_device=int(os.environ["PROCESSES"]))
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
