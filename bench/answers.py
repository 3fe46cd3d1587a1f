"""Answers chat requests as fast as it can, for providers.lua: answers.py

Prints its port. The model that a request names says what it gets: `document` an answer in one JSON
document, `stream-N` one of N events in large pieces, `paced-N` one of N events of which each leaves
by itself, a millisecond after the other. It ends when its standard input closes."""

import json
import re
import socket
import sys
import threading
import time

FACTS = {"id": "chatcmpl-1", "created": 1700000000, "model": "m", "system_fingerprint": "fp_1"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60}


def chunk(choices, **more):
    return b"data: " + json.dumps({**FACTS, "object": "chat.completion.chunk", "choices": choices, **more}).encode() + b"\n\n"


def choice(delta, reason=None):
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]


def events(count):
    tokens = [chunk(choice({"content": " word%d" % (i % 100)})) for i in range(count)]
    return [*tokens, chunk(choice({}, "stop")), chunk([], usage=USAGE), b"data: [DONE]\n\n"]


def framed(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def document():
    message = {"role": "assistant", "content": " word" * 200}
    answer = {**FACTS, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DOCUMENT = document()
streams = {}


def stream(count):
    if count not in streams:
        body = b"".join(framed(event) for event in events(count))
        streams[count] = HEAD + body + b"0\r\n\r\n"
    return streams[count]


def answer(peer, body):
    found = re.search(rb'"(stream|paced)-(\d+)"', body)
    if not found:
        return peer.sendall(DOCUMENT)
    count = int(found[2])
    if found[1] == b"stream":
        return peer.sendall(stream(count))
    peer.sendall(HEAD)
    for event in events(count):
        time.sleep(0.001)
        peer.sendall(framed(event))
    return peer.sendall(b"0\r\n\r\n")


def serve(peer):
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    text = b""
    while True:
        while b"\r\n\r\n" not in text:
            more = peer.recv(65536)
            if not more:
                return
            text += more
        head, _, text = text.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if b"100-continue" in head.lower():
            peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(text) < length:
            text += peer.recv(65536)
        answer(peer, text[:length])
        text = text[length:]
        if b"connection: close" in head.lower():
            return peer.shutdown(socket.SHUT_WR)


def accept(listener):
    while True:
        peer = listener.accept()[0]
        threading.Thread(target=guarded, args=(peer,), daemon=True).start()


def guarded(peer):
    with peer:
        try:
            serve(peer)
        except OSError:
            pass


listener = socket.create_server(("127.0.0.1", 0), backlog=256)
print(listener.getsockname()[1], flush=True)
threading.Thread(target=accept, args=(listener,), daemon=True).start()
sys.stdin.read()
