"""`rnnlab schema`."""


def command() -> None:
    """Print the JSON Schema of a config, for editors that complete and check YAML."""
    from rnnlab.cli._output import show_json
    from rnnlab.config.schema import config_schema

    show_json(config_schema())
