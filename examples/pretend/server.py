"""Plays a model for the examples, so that they need no network and no key.

It speaks OpenAI's chat completions on loopback, prints its port, and ends when nobody reads its
output any more. What it answers:

  tools offered, last message from the user   calls the tool `weather` for two cities at once
  last message from a tool                    a sentence with all tool results
  a JSON Schema                               the smallest document that fits
  "busy" in the message, first time           429 with a delay; then a sentence
  anything else                               a sentence, slowly if the message has "slow" in it

Asked for embeddings, it counts letters: texts with the same letters have the same vector.
"""

import json
import os
import select
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

refused = set()


def fitting(schema):
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "object":
        return {name: fitting(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [fitting(schema.get("items", {})) for _ in range(schema.get("minItems", 2))]
    return {"integer": 3, "number": 2.5, "boolean": True}.get(kind, "some text")


def answer(request):
    """The deltas of one answer, and why it ends."""
    last = request["messages"][-1]
    format = request.get("response_format", {})
    if last["role"] == "tool":
        results = [m["content"] for m in request["messages"] if m["role"] == "tool"]
        return words("The tools say: " + " and ".join(results)), "stop"
    if request.get("tools"):
        calls = [
            {"index": i, "id": f"call_{i}", "type": "function",
             "function": {"name": "weather", "arguments": json.dumps({"city": city})}}
            for i, city in enumerate(["Oslo", "Bergen"])
        ]
        return [{"tool_calls": calls}], "tool_calls"
    if format.get("type") == "json_schema":
        return words(json.dumps(fitting(format["json_schema"]["schema"]))), "stop"
    return words(f"You said: {last['content']}"), "stop"


def embeddings(request):
    texts = request["input"]
    letters = "abcdefghijklmnopqrstuvwxyz"
    data = [{"index": i, "embedding": [text.lower().count(letter) / 10 for letter in letters]}
            for i, text in enumerate(texts)]
    count = sum(len(text.split()) for text in texts)
    return {"model": request["model"], "data": data,
            "usage": {"prompt_tokens": count, "total_tokens": count}}


def words(text):
    return [{"content": word + " "} for word in text.split(" ")]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        if self.path.endswith("/embeddings"):
            return self.whole(embeddings(request))
        text = str(request["messages"][-1]["content"])
        if "busy" in text and text not in refused:
            refused.add(text)
            return self.busy()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        deltas, reason = answer(request)
        for delta in deltas:
            self.event(choice(delta, None))
            time.sleep(0.2 if "slow" in text else 0.01)
        self.event(choice({}, reason))
        count = len(text.split())
        usage = {"prompt_tokens": count, "completion_tokens": len(deltas),
                 "total_tokens": count + len(deltas)}
        self.event({"choices": [], "model": "pretend", "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def whole(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def busy(self):
        body = b'{"error": {"message": "too many requests", "type": "requests"}}'
        self.send_response(429)
        self.send_header("retry-after-ms", "50")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def event(self, document):
        self.wfile.write(b"data: " + json.dumps(document).encode() + b"\n\n")
        self.wfile.flush()


def choice(delta, reason):
    return {"model": "pretend", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def end_with_reader():
    poll = select.poll()
    poll.register(1, 0)
    poll.poll()
    os._exit(0)


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a client that has gone away


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
end_with_reader()
