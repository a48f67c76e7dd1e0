"""The probes, one module each: its arguments, what it says, and how its section is drawn.

A module declares its `PROBE` (`ablate.report.probe_sections.ReportedProbe`), and being in this
folder is all that makes it known. A study's validation imports it, so that neither Keras nor
matplotlib is imported at its top; the class that measures is `ablate.probes.<module>`'s.
"""
