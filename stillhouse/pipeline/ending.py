"""A flag: this process is stopping."""

import threading

ending = threading.Event()  # once set, no child process starts and the output of running children is not logged
