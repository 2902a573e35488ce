"""A seeded stream of simulated payments, for the demo, the tests and the benchmarks.

Realistic: a few customers make most payments; payments come in sessions; amounts are log-normal per
category and follow hour, weekday and month end; velocity counts only earlier payments of the same
customer; fraud comes in episodes of known kinds and honest payments share their traits (travel, new
phones, first-time beneficiaries); first-party fraud looks like any payment, so no model finds it
all; the truth arrives late, fraud when reported and honesty when the window for disputes closes;
age and sex colour account age, channel, category and who falls victim to what, so a model that
never sees them still flags the groups at different rates.

Simplified: one currency and time zone (UTC); ages of beneficiary and device and money received are
drawn, not followed through a ledger; nothing is declined, so labels are complete. Customers depend
on seed, payments and days alone: the same three with a later start continue with the same people.

Missing (NaN): device_age_days (not told; always by phone), beneficiary_age_days, counterparty_risk
(no record), amount_vs_usual, minutes_since_last (the customer's first payment). Nothing else is.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.random import Generator as Rng

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
ID, TIME, ENTITY, LABEL, LABEL_AT = "payment_id", "at", "customer_id", "is_fraud", "label_at"
TYPOLOGY = "typology"  # the kind of fraud, "" where there is none: never known when scoring
PROTECTED = ("age_band", "sex")  # measured for fairness, never an input
DEVICE = ("new_device", "device_age_days")  # what a broken feed leaves out
# fmt: off
FEATURES: dict[str, str] = {
    "amount": "number", "amount_vs_usual": "number",  # euros; over the mean of earlier payments
    "category": "category", "channel": "category", "home_country": "category",
    "hour": "integer", "weekday": "integer",  # UTC; Monday is 0
    "counterparty_risk": "number", "cross_border": "boolean",  # 0 to 1; sold from abroad
    "beneficiary_age_days": "number", "account_age_days": "integer",  # since first paid, opened
    "new_device": "boolean", "device_age_days": "number",  # as this customer's
    "ip_country_match": "boolean", "two_factor": "boolean", "minutes_since_last": "number",
    "count_1h": "integer", "count_24h": "integer", "amount_1h": "number", "amount_24h": "number",
    "inflow_24h": "number",  # euros received in the day before: what a mule passes on
}
CHANNELS = ("app", "web", "pos", "phone")
CATEGORIES = ("groceries", "retail", "travel", "digital", "bills", "transfer")
AGE_BANDS, SEXES = ("18-25", "26-40", "41-60", "60+"), ("female", "male")
AGE_SHARES = (0.16, 0.34, 0.31, 0.19)  # about an EU retail bank's adult customers
COUNTRIES, COUNTRY_SHARES = ("DE", "FR", "IT", "NL", "ES"), (0.34, 0.24, 0.18, 0.14, 0.10)
PER_DAY = 0.4  # payments a customer makes a day, which sets how many customers a stream has
ACTIVITY_TAIL = 1.8  # Pareto exponent: the top tenth of customers makes about half the payments
FRAUD_RATE = 0.026  # of payments; far above a real bank's, so that small samples hold enough fraud
NEW_SHARE = 0.4  # of fraud, where the new typology is on: seen within days, the old kinds go on
DISPUTE_DAYS = 45  # after which an undisputed payment counts as honest
REPORT_SPREAD = 0.7  # log-normal sigma of the delay in reporting: a long tail, as in chargebacks
ACCOUNT_DAYS = np.array([420, 1100, 2300, 3600])  # median per age band: people seldom change bank
WEALTH = np.array([0.75, 1.0, 1.2, 1.0])  # spending per age band: income peaks in mid-life
AMOUNT_MEDIAN = np.array([32, 48, 170, 24, 85, 140])  # euros per category
AMOUNT_SIGMA = np.array([0.6, 0.8, 0.9, 0.8, 0.7, 1.0])  # transfers vary most, groceries least
RISK = np.array([0.10, 0.22, 0.30, 0.38, 0.12, 0.34])  # mean per category: high if easily resold
ABROAD = np.array([0.02, 0.15, 0.45, 0.40, 0.03, 0.10])  # share of a category sold from abroad
COUNTERPARTIES = 80  # per category: enough that none dominates
CHANNEL_BY_AGE = np.array([[0.52, 0.17, 0.30, 0.01], [0.42, 0.24, 0.32, 0.02],  # the young pay in
                           [0.28, 0.30, 0.38, 0.04], [0.15, 0.28, 0.46, 0.11]])  # the app
CHANNEL_BY_SEX = np.array([[1.12, 1, 1, 1], [0.90, 1, 1, 1]])  # women use the app a little more
CATEGORY_BY_SEX = np.array([[1.1, 1.2, 1, 0.75, 1, 0.95], [0.9, 0.8, 1, 1.25, 1, 1.05]])
TWO_FACTOR = np.array([0.72, 0.62, 0.35, 0.25])  # per channel; small payments are exempt
HOURS = np.array([1, 1, 1, 1, 1, 2, 4, 8, 11, 12, 12, 13, 14, 13, 12, 12, 13, 15, 15, 13, 10,
                  7, 4, 2])  # relative traffic: lunch and early-evening peaks, quiet nights
WEEKDAYS = np.array([0.95, 0.92, 0.95, 1.0, 1.2, 1.15, 0.83])  # Friday and Saturday shopping
PAY_DAY, PAY_TRAFFIC, PAY_AMOUNT = 27, 1.3, 1.15  # from this day of the month on, more is paid
UNKNOWN = {"device_age_days": 0.06, "beneficiary_age_days": 0.03, "counterparty_risk": 0.04}
# How payments come about: rates, a column a kind. The first is honest. Takeover: another's phone,
# abroad, at night, fast. Testing: a script tries stolen cards. Scam: the aged are talked into it on
# their own device. Mule: passes money on. First party: disputes an ordinary payment. Remote access,
# not in training data: a caller steers the customer's own computer, so that every check passes.
KINDS = ("", "account_takeover", "card_testing", "app_scam", "mule", "first_party", "remote_access")
TRAITS: dict[str, tuple[float, ...]] = {
    "share":           (0.00, 0.24, 0.23, 0.20, 0.16, 0.17, 0.00),  # of fraudulent payments
    "burst_from":      (1,    2,    3,    1,    1,    1,    2),     # payments an episode
    "burst_to":        (3,    6,    12,   2,    4,    1,    4),
    "gap_minutes":     (45,   12,   4,    90,   60,   45,   35),    # between them
    "amount":          (1.00, 2.60, 0.16, 4.00, 2.60, 1.00, 1.60),  # times the customer's usual
    "new_device":      (0.08, 0.68, 0.50, 0.08, 0.15, 0.08, 0.02),  # everyone buys a phone
    "foreign_ip":      (0.02, 0.45, 0.35, 0.02, 0.10, 0.02, 0.00),  # on top of their own travel
    "two_factor":      (1.00, 0.55, 0.20, 1.20, 1.00, 1.00, 1.50),  # times the channel's rate
    "new_beneficiary": (0.16, 0.65, 0.55, 0.85, 0.60, 0.16, 0.15),
    "night":           (0.00, 0.35, 0.20, 0.00, 0.05, 0.00, 0.00),
    "risk_pull":       (0.00, 1.20, 1.00, 0.80, 0.60, 0.00, 0.00),  # to risky counterparties
    "inflow":          (0.12, 0.12, 0.12, 0.15, 0.75, 0.12, 0.12),  # money has just come in
    "report_days":     (0,    4,    3,    9,    18,   14,   8),     # median until known
    "young_account":   (0,    0,    0,    0,    1,    0,    0),     # opened for the purpose
    "18-25":           (1.00, 1.00, 1.00, 0.60, 2.20, 1.00, 0.50),  # who falls victim
    "26-40":           (1.00, 1.00, 1.00, 0.70, 1.20, 1.00, 0.80),
    "41-60":           (1.00, 1.00, 1.00, 1.20, 0.70, 1.00, 1.30),
    "60+":             (1.00, 1.00, 1.00, 2.20, 0.40, 1.00, 1.80),
    "app":             (0.00, 0.45, 0.12, 0.35, 0.70, 0.00, 0.05),  # all 0: as their age pays
    "web":             (0.00, 0.50, 0.83, 0.45, 0.25, 0.00, 0.90),
    "pos":             (0.00, 0.00, 0.05, 0.00, 0.05, 0.00, 0.00),
    "phone":           (0.00, 0.05, 0.00, 0.20, 0.00, 0.00, 0.05),
    "groceries":       (0.32, 0.02, 0.08, 0.00, 0.00, 0.32, 0.00),
    "retail":          (0.24, 0.25, 0.32, 0.05, 0.04, 0.24, 0.05),
    "travel":          (0.06, 0.08, 0.02, 0.03, 0.02, 0.06, 0.00),
    "digital":         (0.14, 0.25, 0.55, 0.12, 0.19, 0.14, 0.75),
    "bills":           (0.12, 0.00, 0.03, 0.10, 0.05, 0.12, 0.15),
    "transfer":        (0.12, 0.40, 0.00, 0.70, 0.70, 0.12, 0.05),
}
# What drift = 1 adds: prices (log units), payments moved to the app, new phones, VPNs, bolder
# customers, lost records; fraudsters ADAPT that far towards honest behaviour in these traits.
DRIFT = {"prices": 0.8, "app": 0.5, "new_device": 0.3, "foreign_ip": 0.2, "new_beneficiary": 0.25,
         "unknown": 0.25}
ADAPT, ADAPTED = 0.35, ("gap_minutes", "amount", "new_device", "foreign_ip", "night", "risk_pull")
# fmt: on


@dataclass(frozen=True)
class Scenario:
    """What has changed since the model was trained."""

    drift: float = 0.0  # 0 to 1, how far the population has moved
    new_typology: bool = False  # remote_access makes up NEW_SHARE of fraud
    schema_break: bool = False  # amount comes in cents, the DEVICE columns do not come


START, AS_TRAINED = datetime(2026, 1, 5, tzinfo=UTC), Scenario()  # a Monday
HOUR, DAY = 3_600_000, 86_400_000  # in milliseconds, the stream's resolution


def simulate(
    payments: int, *, seed: int, start: datetime = START, days: int = 60,
    scenario: Scenario = AS_TRAINED,
) -> pd.DataFrame:  # fmt: skip
    """One row a payment in time order: ID, TIME, ENTITY, FEATURES, PROTECTED, labels, TYPOLOGY."""
    if payments < 1 or days < 1 or start.tzinfo is None or not 0 <= scenario.drift <= 1:
        raise ValueError("at least one payment and day, a start with its zone, drift from 0 to 1")
    world = np.random.default_rng([seed, 0])
    people = _customers(world, max(20, round(payments / (PER_DAY * days))), seed)
    # Per category in ascending order: a counterparty's rank is its identity.
    risk = np.sort(world.beta(RISK * 6, 6 - RISK * 6, (COUNTERPARTIES, len(RISK))), axis=0)
    rng = np.random.default_rng([seed, 1, abs(int(start.timestamp()))])
    rows = _episodes(rng, people, payments, scenario).join(people, on="customer")
    rows["ms"] = _clock(rng, rows, pd.Timestamp(start), days, scenario.drift)
    rows = rows.sort_values("ms", kind="stable", ignore_index=True)
    rows[TIME] = pd.Timestamp(start).tz_convert("UTC") + pd.to_timedelta(rows["ms"], unit="ms")
    rows[ID] = [f"p{start:%Y%m%d}-{seed}-{number:07d}" for number in range(payments)]
    _place(rng, rows, risk, scenario.drift)
    _price(rng, rows, scenario.drift)
    _trust(rng, rows, scenario.drift)
    _velocity(rows)
    _label(rng, rows)
    frame = rows[[ID, TIME, ENTITY, *FEATURES, *PROTECTED, LABEL, LABEL_AT, TYPOLOGY]].copy()
    if scenario.schema_break:  # after a release of the feed's supplier
        frame["amount"] = (frame["amount"] * 100).round().astype("int64")
    return frame.drop(columns=list(DEVICE)) if scenario.schema_break else frame


def _customers(rng: Rng, count: int, seed: int) -> pd.DataFrame:
    age, sex = rng.choice(4, count, p=AGE_SHARES), rng.integers(0, 2, count)
    names = [f"c{seed}-{number:06d}" for number in range(count)]
    people = pd.DataFrame({"age": age, "by_sex": sex, ENTITY: names})
    people["age_band"], people["sex"] = np.array(AGE_BANDS, "O")[age], np.array(SEXES, "O")[sex]
    people["home_country"] = rng.choice(np.array(COUNTRIES, "O"), count, p=COUNTRY_SHARES)
    # Older joint accounts were mostly opened in the husband's name, hence the factor for women.
    tenure = ACCOUNT_DAYS[age] * np.where(sex == 0, 0.85, 1) * rng.lognormal(0, 0.8, count)
    people["tenure"] = tenure.clip(max=15_000)  # forty years: older records were not migrated
    people["activity"] = 0.2 + rng.pareto(ACTIVITY_TAIL, count)
    people["wealth"] = WEALTH[age] * rng.lognormal(0, 0.45, count)
    people["travels"] = rng.beta(1, 14, count)  # most seldom pay from abroad, a few often do
    return people


def _episodes(rng: Rng, people: pd.DataFrame, payments: int, scenario: Scenario) -> pd.DataFrame:
    """Who pays in which episode (a session or an attack), one kind after the other."""
    shares = np.array(TRAITS["share"][1:]) * (1 - NEW_SHARE * scenario.new_typology)
    shares[-1] = NEW_SHARE * scenario.new_typology
    fraud = int(rng.binomial(payments, FRAUD_RATE))
    parts, begun = [], 0
    for code, count in enumerate([payments - fraud, *rng.multinomial(fraud, shares)]):
        low, high = int(TRAITS["burst_from"][code]), int(TRAITS["burst_to"][code])
        episode = np.repeat(np.arange(count), rng.integers(low, high + 1, count))[:count]
        weight = people["activity"] ** (0.5 if code else 1)  # the busy are hit more, not as much
        weight *= np.array([TRAITS[band][code] for band in AGE_BANDS])[people["age"]]
        # Mule accounts are opened for the purpose: the pull halves every 210 days.
        weight *= np.exp2(-TRAITS["young_account"][code] * people["tenure"] / 210)
        who = rng.choice(len(people), count, p=weight / weight.sum())[episode]
        part = pd.DataFrame({"code": code, "customer": who, "episode": begun + episode})
        parts.append(part.assign(position=np.arange(count) - np.searchsorted(episode, episode)))
        begun += count
    return pd.concat(parts, ignore_index=True)


def _of(rows: pd.DataFrame, trait: str, drift: float = 0.0) -> Array:
    """The trait of each row's kind, after fraudsters have adapted."""
    values = np.array(TRAITS[trait], dtype=float)
    if trait in ADAPTED:
        values += drift * ADAPT * (values[0] - values)
    return np.asarray(values[rows["code"]] + drift * DRIFT.get(trait, 0))


def _pick(rng: Rng, weights: Array) -> Codes:
    """An index a row, by the row's own weights."""
    reach = np.cumsum(weights, axis=1)
    return np.asarray((rng.random((len(reach), 1)) * reach[:, -1:] > reach).sum(axis=1))


def _clock(rng: Rng, rows: pd.DataFrame, start: pd.Timestamp, days: int, drift: float) -> Codes:
    """Milliseconds since the start, by the seasons of day, week and month."""
    slots = pd.date_range(start.tz_convert("UTC"), periods=24 * days, freq="h")
    pay = np.where(slots.day >= PAY_DAY, PAY_TRAFFIC, 1)
    weight = HOURS[slots.hour] * WEEKDAYS[slots.dayofweek] * pay
    slot = rng.choice(len(slots), len(rows), p=weight / weight.sum())
    night = np.maximum(slot - slots.hour.to_numpy()[slot] + rng.integers(0, 6, len(rows)), 0)
    episode = rows["episode"].to_numpy()  # drawn for each row, read by episode: one start for all
    dark = rng.random(len(rows))[episode] < _of(rows, "night", drift)
    slot = np.where(dark, night[episode], slot[episode])
    gap = _of(rows, "gap_minutes", drift) * 60_000 * rng.uniform(0.4, 1.6, len(rows))
    ms = slot * HOUR + rng.integers(0, HOUR, len(rows))[episode] + rows["position"] * gap
    over = np.maximum(ms.astype("int64") - days * DAY + 1, 0)
    return np.asarray((ms.astype("int64") - 2 * over).clip(lower=0))  # none runs past the end


def _place(rng: Rng, rows: pd.DataFrame, risk: Array, drift: float) -> None:
    """Channel, category and counterparty."""
    own = CHANNEL_BY_AGE[rows["age"]] * CHANNEL_BY_SEX[rows["by_sex"]]
    theirs = np.column_stack([_of(rows, name) for name in CHANNELS])
    channel = _pick(rng, np.where(theirs.any(axis=1, keepdims=True), theirs, own))
    channel = np.where(rng.random(len(rows)) < drift * DRIFT["app"], 0, channel)
    wants = np.column_stack([_of(rows, name) for name in CATEGORIES])
    category = _pick(rng, wants * CATEGORY_BY_SEX[rows["by_sex"]])
    rank = rng.random(len(rows)) ** (1 / (1 + _of(rows, "risk_pull", drift)))
    rows["by_channel"], rows["channel"] = channel, np.array(CHANNELS, "O")[channel]
    rows["by_category"], rows["category"] = category, np.array(CATEGORIES, "O")[category]
    rows["counterparty_risk"] = risk[(rank * COUNTERPARTIES).astype(int), category].round(3)
    rows["cross_border"] = rng.random(len(rows)) < ABROAD[category] * (0.5 + rank)


def _price(rng: Rng, rows: pd.DataFrame, drift: float) -> None:
    """The amount, log-normal with its seasons, and what came in before."""
    rows["hour"] = rows[TIME].dt.hour.astype("int64")
    rows["weekday"] = rows[TIME].dt.dayofweek.astype("int64")
    season = 1 - 0.12 * np.sin(rows["hour"].to_numpy() * np.pi / 12)  # evenings cost more
    season *= np.where(rows["weekday"] >= 5, 1.1, 1)  # the weekly shop
    season *= np.where(rows[TIME].dt.day >= PAY_DAY, PAY_AMOUNT, 1)
    middle = AMOUNT_MEDIAN[rows["by_category"]] * rows["wealth"] * season
    spread = rng.normal(0, AMOUNT_SIGMA[rows["by_category"]]) + drift * DRIFT["prices"]
    rows["amount"] = (middle * _of(rows, "amount", drift) * np.exp(spread)).clip(0.01).round(2)
    # Honest money that comes in is wages or a friend's share; a mule's is what leaves again.
    passed = rows["amount"] * rng.uniform(1, 1.3, len(rows))
    earned = rng.lognormal(np.log(220), 1.2, len(rows))
    received = np.where(_of(rows, "young_account") > 0, passed, earned)
    received[rng.random(len(rows))[rows["episode"]] >= _of(rows, "inflow")] = 0
    rows["inflow_24h"] = received.round(2)


def _trust(rng: Rng, rows: pd.DataFrame, drift: float) -> None:
    """Device, place, second factor, beneficiary and account, with what the feed does not know."""
    size, episode = len(rows), rows["episode"].to_numpy()
    rows["new_device"] = rng.random(size)[episode] < _of(rows, "new_device", drift)
    known = 1 + rng.lognormal(np.log(200), 1, size) * (1 - 0.6 * drift)  # most phones are replaced
    device = np.where(rows["new_device"], rng.exponential(0.4, size), known).round(2)
    rows["device_age_days"] = np.where(rows["channel"] == "phone", np.nan, device)
    abroad = rows["travels"].to_numpy() + _of(rows, "foreign_ip", drift)
    rows["ip_country_match"] = rng.random(size)[episode] >= abroad
    passes = TWO_FACTOR[rows["by_channel"]] * _of(rows, "two_factor")
    rows["two_factor"] = rng.random(size) < passes
    first = rng.random(size) < _of(rows, "new_beneficiary", drift)
    rows["beneficiary_age_days"] = np.where(first, 0, rng.exponential(160, size)).round(1)
    age = rows["tenure"] + (rows[TIME] - START) / pd.Timedelta(days=1)  # older in a later window
    rows["account_age_days"] = age.clip(lower=0).astype("int64")
    for name, share in UNKNOWN.items():
        rows[name] = rows[name].mask(rng.random(size) < share + drift * DRIFT["unknown"])


def _velocity(rows: pd.DataFrame) -> None:
    """Strictly earlier payments of the same customer in [at - window, at)."""
    rank = np.lexsort((rows["ms"], rows["customer"]))
    customer, ms = rows["customer"].to_numpy()[rank], rows["ms"].to_numpy()[rank]
    # One ascending key for all customers; the room between two is wider than any window.
    key = customer * (ms.max() + 2 * DAY) + ms
    cents = (rows["amount"].to_numpy()[rank] * 100).round().astype(np.int64)  # sums stay exact
    total = np.concatenate([[0], np.cumsum(cents)])
    here, first = np.searchsorted(key, key), np.searchsorted(customer, customer)
    back = np.argsort(rank)
    for name, window in (("1h", HOUR), ("24h", DAY)):
        since = np.searchsorted(key, key - window)
        rows[f"count_{name}"] = (here - since)[back]
        rows[f"amount_{name}"] = ((total[here] - total[since]) / 100)[back]
    known, mean = here > first, (total[here] - total[first]) / np.maximum(here - first, 1)
    usual = np.where(known, cents / np.maximum(mean, 1), np.nan)
    gap = np.where(known, (key - key[np.maximum(here - 1, 0)]) / 60_000, np.nan)
    rows["amount_vs_usual"], rows["minutes_since_last"] = usual[back].round(3), gap[back].round(2)


def _label(rng: Rng, rows: pd.DataFrame) -> None:
    """The truth and when it is known."""
    rows[TYPOLOGY] = np.array(KINDS, "O")[rows["code"]]
    rows[LABEL] = (rows["code"] > 0).astype("int64")
    reported = _of(rows, "report_days") * rng.lognormal(0, REPORT_SPREAD, len(rows))
    delay = np.where(rows[LABEL] == 1, reported, DISPUTE_DAYS) * DAY
    rows[LABEL_AT] = rows[TIME] + pd.to_timedelta(delay.astype("int64"), unit="ms")
