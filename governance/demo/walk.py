"""The whole road, live: train, register, check, sign, promote, score, drift, retrain, prove. Run by `make demo`."""

import logging
import sys

from governance.demo.data import model_name
from governance.demo.steps import Steps

ROLES = {
    "ada": "data scientist",
    "grace": "risk analyst",
    "alan": "risk lead",
    "olivia": "operator",
    "clara": "compliance",
}


def walk(steps: Steps) -> None:
    """Walk the whole road, unless it was walked."""
    if steps.were_walked(model_name()):
        print(f"\nThe walk was done before: {model_name()} serves. Remove {steps.home} to walk it anew.")
        return
    story = steps.train()
    digests = steps.upload(story)
    number = steps.register(story, digests)
    steps.check(story, number)
    steps.approve(story, number)
    steps.promote(story, number)
    first = steps.score(story, story.before, "The decision engine asks, and outcomes arrive")
    steps.watch(story, number)
    steps.score(story, story.after, "The population drifts; the engine goes on asking")
    steps.alert(story, number)
    steps.retrain(story, number)
    steps.prove(story, first)


def sign_ins(steps: Steps) -> None:
    """Print where to go and as whom."""
    print(f"\nSign in at {steps.base}")
    for who, password in steps.passwords.items():
        print(f"  {ROLES.get(who, ''):<15} {who:<7} {password}")


def main() -> int:
    """Walk, and say how it ended."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    steps, code = Steps(), 0
    try:
        walk(steps)
    except Exception as error:  # noqa: BLE001 - the step has said what failed; the launcher needs the exit code
        print(f"\nThe walk stopped: {error}", file=sys.stderr)
        code = 1
    sign_ins(steps)
    return code


if __name__ == "__main__":
    sys.exit(main())
