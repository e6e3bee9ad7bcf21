"""Plays one scene as a gRPC client and prints one line of JSON with what it saw; judging that is left to the test."""

import json
import sys
import time

import grpc

TOLD = json.loads(sys.argv[1])
PATIENCE = 30
# A conversation that nobody cuts ends some time.
LONGEST_TALK = 60
BETWEEN = 0.005


def channel():
    with open(TOLD["ca"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    # The machine may not know names below `localhost`, so the address is dialled and the name checked.
    options = (("grpc.ssl_target_name_override", TOLD["host"]), ("grpc.enable_http_proxy", 0))
    return grpc.secure_channel(f"127.0.0.1:{TOLD['port']}", credentials, options)


def metadata():
    return (("cookie", TOLD["cookie"]),) if TOLD["cookie"] else ()


def shown(pairs):
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in pairs or ()}


def refusal(error):
    ended = error.trailing_metadata()
    return {"code": error.code().name, "details": error.details(), "ended": shown(ended)}


def attempt(call):
    try:
        call()
    except grpc.RpcError as error:
        return refusal(error)
    return {"code": "OK"}


def kinds(kettle):
    given = {"metadata": metadata(), "timeout": PATIENCE}
    answer, call = kettle.unary_unary("/kitchen.Kettle/Who").with_call(b"who", **given)
    who = {"answer": json.loads(answer), "begun": shown(call.initial_metadata()),
           "ended": shown(call.trailing_metadata())}
    count = [int(piece) for piece in kettle.unary_stream("/kitchen.Kettle/Count")(b"100", **given)]
    pieces = (b"x" * 65536 for _ in range(64))
    collect = kettle.stream_unary("/kitchen.Kettle/Collect")(pieces, **given).decode()
    talk = turns(kettle, given)
    fail = attempt(lambda: kettle.unary_unary("/kitchen.Kettle/Fail")(b"\x00details\xff", **given))
    unknown = attempt(lambda: kettle.unary_unary("/kitchen.Kettle/Unknown")(b"", **given))
    return {"who": who, "count": count, "collect": collect, "talk": talk, "fail": fail, "unknown": unknown}


def turns(kettle, given):
    """Each message is sent only once the one before was answered."""
    heard = []

    def asking():
        for number in range(5):
            while len(heard) < number:
                time.sleep(BETWEEN)
            yield b"%d" % number

    for piece in kettle.stream_stream("/kitchen.Kettle/Talk")(asking(), **given):
        heard.append(piece.decode())
    return heard


def talk(kettle):
    """Says the time again and again until it is cut, and tries once more then."""
    until = time.monotonic() + LONGEST_TALK

    def asking():
        while time.monotonic() < until:
            yield b"%d" % time.time_ns()
            time.sleep(BETWEEN)

    call = kettle.stream_stream("/kitchen.Kettle/Talk")(asking(), metadata=metadata())
    heard = 0

    def listen():
        nonlocal heard
        for _ in call:
            heard += 1

    cut = attempt(listen)
    return {"heard": heard, "cut": cut, "again": once(kettle)}


def once(kettle):
    given = {"metadata": metadata(), "timeout": PATIENCE}
    return attempt(lambda: kettle.unary_unary("/kitchen.Kettle/Who")(b"who", **given))


SCENES = {"kinds": kinds, "talk": talk, "once": once}

with channel() as kettle:
    print("ready", flush=True)
    print(json.dumps(SCENES[TOLD["scene"]](kettle)), flush=True)
