"""Answers each request with the time, on the monotonic clock, at which it sends that. See wakeup.lua.

It prints its port, and ends when its standard input closes."""

import socket
import sys
import threading
import time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"%.9f"},"finish_reason":"stop"}]}'


def read_request(peer):
    text = b""
    while b"\r\n\r\n" not in text:
        more = peer.recv(65536)
        if not more:
            return False
        text += more
    head, _, body = text.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += peer.recv(65536)
    return True


def serve(peer):
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while read_request(peer):
        peer.sendall(HEAD)
        time.sleep(0.003)
        event = (EVENT + b"\n\ndata: [DONE]\n\n") % time.monotonic()
        peer.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(event), event))


def accept(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
threading.Thread(target=accept, args=(listener,), daemon=True).start()
sys.stdin.read()
