"""transformers' Trainer for every teacher, also for those that are no model of transformers."""

from typing import Any

from transformers import PreTrainedModel, Trainer


class TeacherTrainer(Trainer):
    """A Trainer that can write a checkpoint of weights with two names, as the token vectors of T5.

    The Trainer itself can do so for models of transformers alone. safetensors refuses two names for one weight, so each
    name gets a copy.
    """

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if not isinstance(self.model, PreTrainedModel):
            places: set[int] = set()
            state_dict = dict(self.model.state_dict() if state_dict is None else state_dict)
            for name, weight in state_dict.items():
                if weight.data_ptr() in places:
                    state_dict[name] = weight.clone()
                places.add(weight.data_ptr())
        super()._save(output_dir, state_dict)
