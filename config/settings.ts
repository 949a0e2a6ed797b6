// The form of a setting's description. Must not know any setting.

export type SettingType = 'text' | 'list' | 'integer' | 'boolean' | 'choice' | 'secret';

export interface Setting {
  /** Key in tocsin.yaml; the flag is its kebab-case form. */
  readonly key: string;
  /** Name in the environment. */
  readonly variable: string;
  readonly type: SettingType;
  /** As text; null: none. */
  readonly fallback: string | null;
  readonly meaning: string;
  readonly range?: readonly [number, number];
  readonly choices?: readonly string[];
}
