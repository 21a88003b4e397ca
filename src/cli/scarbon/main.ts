/** `scarbon`: options, one question to the controller, one page. */
import type { JobsAnswer } from '../../contract/api.js';
import { EXIT, type ExitCode } from '../../contract/errors.js';
import { epochMs } from '../../contract/units.js';
import { ask } from '../controller-client.js';
import { findEndpoint, type Endpoint } from '../endpoint.js';
import { usageError } from '../program.js';
import { version } from '../version.js';
import { humanStyle, plainStyle } from './cells.js';
import { DEFAULT_FORMAT, type Row } from './columns.js';
import { helpFormat, parseFormat, type Field } from './format.js';
import type { JobSelection } from './job-ids.js';
import { legend } from './marks.js';
import { helpText, parseOptions, type Options } from './options.js';
import { ENERGY_UNITS, type EnergyUnit } from './quantities.js';
import { questionOf } from './query.js';
import { renderCsv, renderDelimited, renderTable, type Page } from './render.js';

export async function scarbon(args: readonly string[]): Promise<ExitCode> {
  const options = parseOptions(args);
  const notice = noticeOf(options);
  if (notice !== undefined) {
    process.stdout.write(notice);
    return EXIT.done;
  }
  const fields = parseFormat(options.format ?? process.env['SCARBON_FORMAT'] ?? DEFAULT_FORMAT);
  const unit = unitOf(options);
  const { query, selection } = await questionOf(options, epochMs(Date.now()));
  const endpoint = findEndpoint({ controller: options.controller, config: options.config });

  const answer = await checked(ask(endpoint, '/v1/jobs', query), endpoint);
  const rows = rowsOf(answer, selection, options.allocations === true);
  await print(options, answer, rows, fields, unit);
  if (answer.truncated) process.stderr.write('scarbon: the list was cut: ask for a shorter time or for fewer jobs\n');
  return EXIT.done;
}

function noticeOf({ help, helpformat, version: wantsVersion }: Options): string | undefined {
  if (help === true) return helpText();
  if (helpformat === true) return helpFormat();
  return wantsVersion === true ? `scarbon ${version()}\n` : undefined;
}

function unitOf({ units }: Options): EnergyUnit | undefined {
  if (units === undefined) return undefined;
  const unit = ENERGY_UNITS.find((candidate) => candidate.toLowerCase() === units.toLowerCase());
  if (unit !== undefined) return unit;
  throw usageError(
    `--units: expected ${ENERGY_UNITS.join(', ')}, found ${JSON.stringify(units)}`,
    'Write --units=kWh.',
  );
}

/** The check of the answer is loaded while the controller works on it: it costs the caller no time. */
async function checked(asked: Promise<unknown>, endpoint: Endpoint): Promise<JobsAnswer> {
  const [{ checkJobsAnswer }, answer] = await Promise.all([import('./answer.js'), asked]);
  return checkJobsAnswer(answer, endpoint);
}

/** Each job's own line, then the lines of its steps. */
function rowsOf(answer: JobsAnswer, selection: JobSelection, withoutSteps: boolean): readonly Row[] {
  return answer.jobs.flatMap((job): Row[] => {
    const steps = withoutSteps ? [] : job.steps.filter(({ step }) => selection.wantsStep(job, step));
    return [...(selection.wantsJob(job) ? [{ job }] : []), ...steps.map((step) => ({ job, step }))];
  });
}

async function print(
  options: Options,
  answer: JobsAnswer,
  rows: readonly Row[],
  fields: readonly Field[],
  unit: EnergyUnit | undefined,
): Promise<void> {
  const jobs = rows.flatMap(({ job, step }) => (step === undefined ? [job] : []));
  if (options.json === true) {
    const { renderJson } = await import('./json.js');
    process.stdout.write(renderJson(answer, rows, jobs, options.total === true));
    return;
  }
  const page = { fields, rows, header: options.noheader !== true, totalOf: options.total === true ? jobs : undefined };
  if (options.csv === true || options.parsable === true || options.parsable2 === true) {
    process.stdout.write(renderForPrograms({ ...page, style: plainStyle(unit ?? 'J') }, options));
    return;
  }
  const columns = fields.map(({ column }) => column);
  const style = humanStyle(rows, columns, unit);
  process.stdout.write(renderTable({ ...page, style }));
  if (process.stderr.isTTY) process.stderr.write(legend(style.doubts()));
}

function renderForPrograms(page: Page, { csv, parsable, parsable2, delimiter = '|' }: Options): string {
  if (csv === true) return renderCsv(page);
  return renderDelimited(page, delimiter, parsable === true && parsable2 !== true);
}
