"""A Tune trial: it passes on what comes back from the worker group that trains a config."""

from __future__ import annotations

from typing import Any

import ray
from ray import tune

from kdsearch.tune.jobs import Post, ask


class Trial(tune.Trainable):  # type: ignore[misc]
    """Waits for the posts of one job. The actor is reused from trial to trial and never imports torch."""

    def setup(self, config: dict[str, Any]) -> None:
        """Attend to the job that `config` names by `uid`; it is in `mailbox` (a name) already."""
        self._uid, self._seen = config["uid"], 0
        self._mailbox = ray.get_actor(config["mailbox"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with the next trial in this actor."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """What the job posted since the last step: epochs, and at the end the metrics or the reason."""
        posts: list[Post] = ask(self._mailbox.posts, self._uid, self._seen)
        self._seen += len(posts)
        posts.sort(key=lambda post: bool(post.get("done")))
        return {"posts": posts, "done": bool(posts[-1].get("done"))}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing is kept here: the worker group keeps the weights."""

    def load_checkpoint(self, checkpoint_dir: Any) -> None:
        """Nothing to load, for the same reason."""
