"""What one writes by hand instead of us: FastAPI, the booster's own explanation, one committed INSERT per request."""

import json
import os
import threading
import uuid

import lightgbm
import numpy as np
import psycopg
from fastapi import FastAPI
from pydantic import BaseModel

booster = lightgbm.Booster(model_file=os.environ["MODEL_FILE"])
NAMES = [f"f{number:02}" for number in range(booster.num_feature())]
INSERT = "INSERT INTO decision (id, score, inputs, attributions) VALUES (%s, %s, %s, %s)"
app, mine = FastAPI(), threading.local()


class Row(BaseModel):
    """One row by the names of its features."""

    features: dict[str, float]


class Rows(BaseModel):
    """Many rows."""

    rows: list[dict[str, float]]


def connection() -> psycopg.Connection:
    """Return this thread's connection; every statement commits by itself."""
    if not hasattr(mine, "connection"):
        mine.connection = psycopg.connect(os.environ["RECORD_URL"], autocommit=True)
    return mine.connection


def explain(rows: list[dict[str, float]]) -> tuple[list[float], list[list[float]]]:
    """Return scores and attributions."""
    matrix = np.array([[row[name] for name in NAMES] for row in rows])
    contributions = np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1))
    return booster.predict(matrix, num_threads=1).tolist(), contributions.tolist()


def kept(row: dict[str, float], score: float, contributions: list[float]) -> tuple[uuid.UUID, float, str, list[float]]:
    """Return a record."""
    return uuid.uuid4(), score, json.dumps(row), contributions


@app.post("/score")
def score(row: Row) -> dict:
    """Answer one score with its explanation, once it is on record."""
    scores, contributions = explain([row.features])
    record = kept(row.features, scores[0], contributions[0])
    connection().execute(INSERT, record)
    return {"scores": scores, "id": str(record[0]), "attributions": contributions[0]}


@app.post("/scores")
def scores(body: Rows) -> dict:
    """Answer scores with explanations, once all are on record."""
    found, contributions = explain(body.rows)
    records = [kept(*parts) for parts in zip(body.rows, found, contributions, strict=True)]
    with connection().transaction(), connection().cursor() as cursor:
        cursor.executemany(INSERT, records)
    return {"scores": found, "ids": [str(record[0]) for record in records], "attributions": contributions}
