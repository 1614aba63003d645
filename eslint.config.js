import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "build/", "runs/", "node_modules/", "**/*.mjs"] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "no-empty": ["error", { allowEmptyCatch: false }],
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "named exports only" },
        { selector: "ExportAllDeclaration", message: "name what is exported" },
      ],
      "max-lines-per-function": ["error", { max: 90, skipBlankLines: true, skipComments: true }],
    },
  },
  { files: ["tests/**", "vitest.config.ts", "eslint.config.js"], rules: { "max-lines-per-function": "off", "no-restricted-syntax": "off" } },
  { files: ["eslint.config.js"], ...tseslint.configs.disableTypeChecked },
);
