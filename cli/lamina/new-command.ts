import { Command, Option } from 'commander'
import { fatal, print } from './say.ts'

/** A command whose mistakes are told as all others are; it throws where commander would end the process. */
export const newCommand = (name: string): Command =>
  new Command(name)
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => print(text),
      outputError: (text) => fatal(text.replace(/^error: /, '').trimEnd()),
    })

/** The other command line's word for `--json`. */
export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'the same').choices(['json']).implies({ json: true })
