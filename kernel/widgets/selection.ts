import { inspect } from "node:util";
import { WidgetError } from "../errors.ts";
import { isJsonObject } from "../protocol/json.ts";
import { Widget } from "./widget.ts";
import type { Change } from "./widget.ts";

interface Choice { readonly label: string; readonly value: unknown }

/** A widget that offers options. The front end knows their labels and the index; labels and values live here. */
export class SelectionWidget extends Widget {
  // Not initialised here: Widget's constructor calls resolve(), which sets it.
  declare private choices: readonly Choice[] | undefined;

  get options(): readonly unknown[] {
    return (this.choices ?? []).map(({ label, value }) => label === String(value) ? value : [label, value]);
  }

  set options(options: unknown) {
    this.update({ options });
  }

  /** The chosen option; null when there is none. */
  get value(): unknown {
    return this.chosen(this.get("index"))?.value ?? null;
  }

  set value(value: unknown) {
    this.update({ value });
  }

  get label(): string | null {
    return this.chosen(this.get("index"))?.label ?? null;
  }

  set label(label: string | null) {
    this.update({ label });
  }

  override plainText(): string {
    return `${this.name}(${inspect({ ...(this.get("description") === "" ? {} : { description: this.get("description") }), value: this.value, options: this.options }, { breakLength: Infinity })})`;
  }

  protected override resolve({ options, value, label, ...rest }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    const choices = options === undefined ? this.choices ?? [] : readChoices(options);
    const resolved: Record<string, unknown> = { ...rest };
    if (options !== undefined || this.choices === undefined) {
      resolved.optionsLabels = choices.map((choice) => choice.label);
      resolved.index ??= choices.length > 0 ? 0 : null;
    }
    if (value !== undefined) resolved.index = value === null ? null : indexOf(choices, "value", value);
    if (label !== undefined) resolved.index = label === null ? null : indexOf(choices, "label", label);
    const { index } = resolved;
    if (typeof index === "number" && choices[index] === undefined) throw optionError(`index ${index}`, choices);
    this.choices = choices;
    return resolved;
  }

  protected override fits(name: string, value: unknown): boolean {
    if (name === "index") return value === null || this.chosen(value) !== undefined;
    return name !== "_options_labels" && super.fits(name, value);
  }

  protected override consequences(change: Change): readonly Change[] {
    if (change.name !== "index") return [change];
    const [before, after] = [this.chosen(change.old), this.chosen(change.new)];
    return [
      change,
      { ...change, name: "value", old: before?.value ?? null, new: after?.value ?? null },
      { ...change, name: "label", old: before?.label ?? null, new: after?.label ?? null },
    ];
  }

  private chosen(index: unknown): Choice | undefined {
    return typeof index === "number" ? this.choices?.[index] : undefined;
  }
}

/** Options are values, [label, value] pairs, or an object from labels to values. */
function readChoices(options: unknown): Choice[] {
  if (isJsonObject(options)) return Object.entries(options).map(([label, value]) => ({ label, value }));
  if (!Array.isArray(options)) throw optionError(inspect(options), []);
  return options.map((option: unknown) => {
    if (Array.isArray(option) && option.length === 2 && typeof option[0] === "string") return { label: option[0], value: option[1] as unknown };
    return { label: String(option), value: option };
  });
}

function indexOf(choices: readonly Choice[], key: "value" | "label", wanted: unknown): number {
  const index = choices.findIndex((choice) => Object.is(choice[key], wanted));
  if (index < 0) throw optionError(`${key} ${inspect(wanted)}`, choices);
  return index;
}

function optionError(given: string, choices: readonly Choice[]): WidgetError {
  return new WidgetError({
    code: "E_WIDGET_OPTION", what: `A selection got ${given}`, why: `it has the options ${inspect(choices.map(({ label }) => label))}`,
    fix: "choose one of them, or set options first: values, [label, value] pairs or an object from labels to values",
  });
}
