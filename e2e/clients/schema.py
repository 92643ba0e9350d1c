"""Judges documents by a JSON Schema, with another's validator: schema.py < {"schema": …, "documents": […]}.

Prints a line for each document: "valid", or what is wrong first. A schema that is none itself ends it.
"""

import json
import sys

import jsonschema_rs

said = json.load(sys.stdin)
jsonschema_rs.meta.validate(said["schema"])
validator = jsonschema_rs.Draft202012Validator(said["schema"])
for document in said["documents"]:
    wrong = next(iter(validator.iter_errors(document)), None)
    print("valid" if wrong is None else f"{wrong.message}"[:200].replace("\n", " "))
