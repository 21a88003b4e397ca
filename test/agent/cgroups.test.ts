import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { SlurmCgroups, hostCpuSource } from '../../src/agent/cgroups.js';

async function tree(...folders: string[]): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'wattle-cgroup-'));
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  return root;
}

describe('cgroup v1', () => {
  test('several slurmd on one host: each node sees its own jobs and steps', async () => {
    const root = await tree(
      'cpuacct/slurm_n1/uid_0/job_5/step_batch/task_0',
      'cpuacct/slurm_n1/uid_1000/job_6/step_0',
      'cpuacct/slurm_n1/uid_1000/job_6/step_extern',
      'cpuacct/slurm_n2/uid_0/job_7',
    );
    const groups = new SlurmCgroups(root, 'n1', '/proc');
    expect(groups.version).toBe(1);
    expect(groups.scopeCpu).toEqual({ format: 'cpuacct.usage', path: join(root, 'cpuacct/slurm_n1/cpuacct.usage') });
    const { jobs: found, folders } = groups.scan();
    const jobs = [...found].sort((a, b) => a.jobId - b.jobId);
    expect(jobs.map((job) => [job.jobId, job.steps.map((step) => step.step).sort()])).toEqual([
      [5, ['batch']],
      [6, ['0', 'extern']],
    ]);
    expect(folders).toContain(join(root, 'cpuacct/slurm_n1/uid_1000/job_6'));
  });

  test('one slurmd per host: the folder has no node name', async () => {
    const root = await tree('cpuacct/slurm/uid_0/job_5');
    expect(new SlurmCgroups(root, 'n1', '/proc').scan().jobs.map((job) => job.jobId)).toEqual([5]);
  });

  test('no Slurm yet: nothing is found, and the expected folder is named', async () => {
    const groups = new SlurmCgroups(await tree('cpuacct'), 'n1', '/proc');
    expect(groups.exists).toBe(false);
    expect(groups.scan().jobs).toEqual([]);
    expect(groups.scope).toMatch(/cpuacct\/slurm_n1$/);
  });
});

describe('cgroup v2', () => {
  const unified = async (...folders: string[]): Promise<string> => {
    const root = await tree(...folders);
    await writeFile(join(root, 'cgroup.controllers'), 'cpu memory\n');
    return root;
  };

  test('jobs, steps and the scope', async () => {
    const root = await unified('system.slice/n1_slurmstepd.scope/job_5/step_batch/user/task_0');
    const groups = new SlurmCgroups(root, 'n1', '/proc');
    expect(groups.version).toBe(2);
    expect(groups.scan().jobs).toEqual([
      {
        jobId: 5,
        path: join(root, 'system.slice/n1_slurmstepd.scope/job_5'),
        cpu: { format: 'cpu.stat', path: join(root, 'system.slice/n1_slurmstepd.scope/job_5/cpu.stat') },
        steps: [
          {
            step: 'batch',
            cpu: { format: 'cpu.stat', path: join(root, 'system.slice/n1_slurmstepd.scope/job_5/step_batch/cpu.stat') },
          },
        ],
      },
    ]);
  });

  test("26.05's SLUID folders: the job id comes from an event, or from a process in the group", async () => {
    const known = 's0D9V4T8XKQ2M7';
    const asked = 's0D9V4T8XKQ2M8';
    const scope = 'system.slice/slurmstepd.scope';
    const root = await unified(`${scope}/${known}`, `${scope}/${asked}/step_0/user`, `${scope}/system`);
    const procfs = await tree('4711');
    await writeFile(join(root, scope, asked, 'step_0/user/cgroup.procs'), '4711\n');
    await writeFile(join(procfs, '4711/environ'), 'HOME=/\0SLURM_JOB_ID=99\0X=1\0');
    const groups = new SlurmCgroups(root, 'n1', procfs);
    groups.learnSluid(known, 98);
    expect(
      groups
        .scan()
        .jobs.map((job) => job.jobId)
        .sort(),
    ).toEqual([98, 99]);
  });
});

test('the host CPU time is read where it is exact', async () => {
  const v2 = await tree('x');
  await writeFile(join(v2, 'cpu.stat'), 'usage_usec 1\n');
  expect(hostCpuSource(v2, '/proc').format).toBe('cpu.stat');
  const v1 = await tree('cpuacct');
  await writeFile(join(v1, 'cpuacct/cpuacct.usage'), '1\n');
  expect(hostCpuSource(v1, '/proc').format).toBe('cpuacct.usage');
  expect(hostCpuSource(await tree('x'), '/proc')).toEqual({ format: 'proc-stat', path: '/proc/stat' });
});
