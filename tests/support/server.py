"""A server of the web in a thread of the tests."""

import contextlib
import socket
import threading


@contextlib.contextmanager
def serving(server):
    """The port at which one of uvicorn's answers meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()
