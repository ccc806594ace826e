"""Breaks real jobs at random, from a seed, and checks what is left with independent programs.

`plan` draws a trial from its seed: one job, one fault, and the point at which it strikes. `lanes` runs trials in
parallel, each lane on a `stage` of its own: a server, a proxy, and Spark. `course` takes one trial from its rows
(`data`), its table and its command line (`jobs`) through the disturbed run, in which one of the `faults` strikes, to
the rerun, and has the `judge` say what is wrong. `report` prints that. `errors` are what ends the trials.
"""
