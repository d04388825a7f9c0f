"""Wrappers of Linux and CPython: processes, signals, epoll, limits. Nothing here knows pools."""
