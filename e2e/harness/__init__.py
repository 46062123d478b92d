"""What the scenarios share: processes, the software key, the mocked USB bus, browsers, dialogs.

Python's standard library only; `fido2` (PyPI) is used by the PC/SC scenario alone, pyatspi (Debian)
by the dialog driver alone. Everything stays on loopback, every process that is started here is
ended here by its id, and every wait has an end.
"""
