-- The filter must run on every Lua that a slurmctld may embed: 5.1 (Debian) to 5.4.
std = "min"
globals = { "slurm_job_submit", "slurm_job_modify" }
read_globals = { "slurm" }
max_line_length = 120
