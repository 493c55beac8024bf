"""How an adapter speaks with the tests: a question a line on stdin, its answer a line on stdout, both JSON."""

import json
import sys

WEATHER = "18 degrees in {city}"


def speak(client):
    """Answers for `client`, an object with a method for each thing to `do`, until stdin ends."""
    # Libraries that print shall not print into the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            answer = getattr(client, ask["do"])(ask)
        except Exception as error:
            answer = {"error": failure(error)}
        print(json.dumps(answer), file=answers, flush=True)


def failure(error):
    """What an application can see of an error."""
    return {
        "type": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "message": str(error),
    }


def picture_and(prompt, url):
    """The content of a message with a picture, in OpenAI's form."""
    return [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": url}}]
