// The command `tocsin`: finds the command, parses its flags, runs it, and ends with a documented exit code.
import { Client, connection } from './client.ts';
import { type Command, commandHelp, findCommand, overviewHelp, parseCommand } from './command.ts';
import { resourceCommandList } from './commands/catalogue.ts';
import { clusterCommands } from './commands/cluster.ts';
import { liveCommands } from './commands/live.ts';
import { operatorCommands } from './commands/operate.ts';
import { programCommands, runProgram } from './commands/program.ts';
import { readCommands } from './commands/read.ts';
import { trialCommands } from './commands/trial.ts';
import { CliError, exitCodes } from './errors.ts';
import { print } from './output.ts';

const commands: readonly Command[] = [
  ...programCommands,
  ...resourceCommandList,
  ...liveCommands,
  ...trialCommands,
  ...readCommands,
  ...operatorCommands,
  ...clusterCommands,
];

async function run(given: readonly string[]): Promise<number> {
  const [first] = given;
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    print(overviewHelp(commands));
    return first === undefined ? exitCodes.usage : exitCodes.done;
  }
  if ((first === 'node' || first === 'prober') && !given.includes('--help'))
    return runProgram(first, given.slice(1));
  const command = findCommand(commands, given);
  if (command === null) return unknownCommand(given);
  const { args, flags } = parseCommand(command, given);
  if (flags['help'] === true) {
    print(commandHelp(command));
    return exitCodes.done;
  }
  const client = new Client(connection(flags, process.env));
  return (
    (await command.run({ args, flags, json: flags['json'] === true, client })) ?? exitCodes.done
  );
}

/** `tocsin entity` lists what can be done with an entity; anything else is an error. */
function unknownCommand(given: readonly string[]): number {
  const fitting = commands.filter((command) => command.words[0] === given[0]);
  if (fitting.length === 0)
    throw new CliError(
      exitCodes.usage,
      `unknown command ${given.slice(0, 2).join(' ')}; tocsin help lists all`,
    );
  print(overviewHelp(fitting));
  return given.includes('--help') ? exitCodes.done : exitCodes.usage;
}

process.stdout.on('error', () => process.exit(exitCodes.done));
try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CliError)) throw error;
  process.stderr.write(`tocsin: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
