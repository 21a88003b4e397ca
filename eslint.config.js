import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * The one-way flow (docs/architecture.md): a room may import from rooms before it, never from rooms after it.
 * `contract`, `config`, `system` and `slurm` are the ground that every room stands on, in that order.
 */
export const ROOMS = [
  'contract',
  'config',
  'system',
  'slurm',
  'sampler',
  'agent',
  'controller',
  'ledger',
  'carbon',
  'placement',
  'power',
  'cli',
];

/** Rooms that no one but the composition root (cli/) may join: an agent must not depend on a controller's parts. */
const flow = ROOMS.map((room, index) => {
  const downstream = ROOMS.slice(index + 1);
  if (downstream.length === 0) return undefined;
  const alternatives = downstream.join('|');
  const message = `${room}/ may not import from a room downstream of it (${downstream.join(', ')}): see docs/architecture.md`;
  return {
    files: [`src/${room}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: `^(\\.{1,2}/)+(src/)?(${alternatives})(/|$)`, message }] },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: `ImportExpression[source.value=/^([.]{1,2}[/])+(src[/])?(${alternatives})([/]|$)/]`, message },
        {
          selector: 'ImportExpression:not([source.type="Literal"])',
          message: 'import() takes a literal, so that the flow can be checked',
        },
      ],
    },
  };
}).filter((entry) => entry !== undefined);

export default tseslint.config(
  { ignores: ['dist/', 'build/', 'node_modules/', 'coverage/', '.cache/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always'],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/cli/**'],
    rules: { 'no-console': 'error' },
  },
  ...flow,
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
        setTimeout: 'readonly',
      },
    },
  },
);
