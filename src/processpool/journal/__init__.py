"""Journals: what the items of a map were answered, kept in a file, so that a run can go on.

Three rules hold here. An item is known by its content, never by its position. A file is only ever
appended to, but for an end that was torn. And nothing of the user's runs in here: what may run code
stays pickled.
"""
