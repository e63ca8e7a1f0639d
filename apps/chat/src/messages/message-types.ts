/** A text that depends on a number: one form for each plural category that the language has (Unicode TR35). */
export interface PluralMessage {
  readonly one: string
  readonly many?: string
  readonly other: string
}

export type Message = string | PluralMessage

/** The names in braces: `'Hello {name}'` needs `name`. */
type Names<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never

type Values<Name extends string> = { readonly [N in Name]: N extends 'count' ? number : string }

/** What has to be given with a message: nothing, or a value for each name in braces. */
export type MessageArguments<M extends Message> = M extends string
  ? [Names<M>] extends [never]
    ? []
    : [values: Values<Names<M>>]
  : M extends { readonly other: infer Text extends string }
    ? [values: Values<Names<Text> | 'count'>]
    : never

/** What a catalogue of another language has to bring: each key, with plurals where the first language has them. */
export type Translation<Catalogue extends Readonly<Record<string, Message>>> = {
  readonly [Key in keyof Catalogue]: Catalogue[Key] extends string ? string : PluralMessage
}
