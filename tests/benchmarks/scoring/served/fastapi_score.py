"""FastAPI around a booster: score only, in the event loop, which is the fastest hand-written form."""

import os

import lightgbm
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

booster = lightgbm.Booster(model_file=os.environ["MODEL_FILE"])
NAMES = [f"f{number:02}" for number in range(booster.num_feature())]
app = FastAPI()


class Row(BaseModel):
    """One row by the names of its features."""

    features: dict[str, float]


class Rows(BaseModel):
    """Many rows."""

    rows: list[dict[str, float]]


@app.post("/score")
async def score(row: Row) -> dict:
    """Answer one score."""
    return {"scores": booster.predict(np.array([[row.features[name] for name in NAMES]]), num_threads=1).tolist()}


@app.post("/scores")
async def scores(body: Rows) -> dict:
    """Answer a score for each row."""
    matrix = np.array([[row[name] for name in NAMES] for row in body.rows])
    return {"scores": booster.predict(matrix, num_threads=1).tolist()}
