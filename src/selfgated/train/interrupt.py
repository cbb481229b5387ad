"""Ctrl-C between two steps, not within one."""

import signal
import threading

__all__ = ["Deferred"]


class Deferred:
    """A context in which the first Ctrl-C only sets `pressed`; the second raises KeyboardInterrupt.

    A step that is cut in its middle leaves some layers updated and others not. Only Python's own handler, in
    the main thread, is replaced: who handles SIGINT otherwise, or ignores it, goes on doing so.

    Attributes
    ----------
    pressed : bool
    """

    def __init__(self):
        """Nothing is pressed yet."""
        self.pressed = False
        self._before = None

    def __enter__(self):
        """Take the handler's place."""
        mine = threading.current_thread() is threading.main_thread()
        if mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *exception):
        """Put the handler back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _press(self, number, frame):
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
