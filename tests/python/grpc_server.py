"""A gRPC server with one method of each kind; messages are bytes. It prints what it gets, and is ended by a signal."""

import json
import sys
import time
from concurrent import futures

import grpc


def say(**words):
    # One write for each line: calls run on threads of their own.
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def who(request, context):
    """Tells which metadata came; twice, so that a name that comes twice is seen."""
    context.send_initial_metadata((("x-begun", "yes"),))
    context.set_trailing_metadata((("x-ended", "yes"), ("x-ended-bin", b"\x00\xff")))
    came = [[name, value] for name, value in context.invocation_metadata() if isinstance(value, str)]
    return json.dumps({"asked": request.decode(), "came": came}).encode()


def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def collect(requests, context):
    pieces = [len(piece) for piece in requests]
    return b"%d pieces, %d bytes" % (len(pieces), sum(pieces))


def talk(requests, context):
    try:
        for piece in requests:
            say(got=piece.decode(), at=time.time_ns())
            yield b"heard " + piece
        say(ended="by the client")
    except Exception:
        say(ended="cut")
        raise


def fail(request, context):
    context.set_trailing_metadata((("grpc-status-details-bin", request),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the kettle is empty: 50 %, caf\u00e9")


METHODS = {
    "Who": grpc.unary_unary_rpc_method_handler(who),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
}


def main():
    port = json.loads(sys.argv[1])["port"]
    server = grpc.server(futures.ThreadPoolExecutor(8), options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("kitchen.Kettle", METHODS),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


main()
