"""Run one attempt in a killable child process of this machine."""
