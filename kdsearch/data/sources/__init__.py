"""Where images come from. A new source is one new module here: a function under `@register("dataset")`."""
