import { expect, test } from '@jest/globals';
import { parseNodePartitions } from '../../src/slurm/nodes.js';

test('reads one line per node and partition', () => {
  const output = 'n1|green\nn2|green\nn2|all\nn2|all\n\nrubbish\n|x\n';
  expect(parseNodePartitions(output)).toEqual(
    new Map([
      ['n1', ['green']],
      ['n2', ['green', 'all']],
    ]),
  );
});
