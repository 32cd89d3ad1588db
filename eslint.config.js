import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/** One way to hide a member: `private`, which constructor parameters need anyway. */
const PRIVATE = {
  selector: 'PrivateIdentifier',
  message: 'Write `private name`, not `#name`.',
};

/** One way to wait: what libs/timing gives ends early when it is told to. */
const DELAY = 'Wait by `pause`, `backOff` or `PeriodicTask` of #libs/timing.';
const PROMISED_TIMER = "NewExpression[callee.name='Promise'] > ArrowFunctionExpression";
const DELAYS = [
  `${PROMISED_TIMER} > CallExpression[callee.name='setTimeout']`,
  `${PROMISED_TIMER} > BlockStatement[body.length=1] > * > CallExpression[callee.name='setTimeout']`,
].map((selector) => ({ selector, message: DELAY }));

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.data/'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-extraneous-class': [
        'error',
        { allowWithDecorator: true, allowStaticOnly: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', destructuredArrayIgnorePattern: '^_' },
      ],
      // Ports and options are abstract classes because they are injection tokens; plain objects are meant to satisfy them.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'separate-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-restricted-syntax': ['error', PRIVATE],
      // The formatter leaves comments alone.
      'max-len': [
        'error',
        {
          code: 100,
          ignoreStrings: true,
          ignoreTemplateLiterals: true,
          ignoreRegExpLiterals: true,
          ignorePattern: 'eslint-disable',
        },
      ],
    },
  },
  {
    files: ['apps/**/*.ts', 'libs/**/*.ts'],
    ignores: ['libs/timing/**', '**/*.spec.ts'],
    rules: {
      'no-restricted-syntax': ['error', PRIVATE, ...DELAYS],
      'no-restricted-imports': [
        'error',
        ...['node:timers/promises', 'timers/promises'].map((name) => ({
          name,
          importNames: ['setTimeout', 'setInterval', 'scheduler'],
          message: DELAY,
        })),
      ],
    },
  },
  {
    files: ['**/*.mjs', '**/*.js'],
    languageOptions: {
      globals: {
        console: 'readonly',
        process: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
      },
    },
  },
);
