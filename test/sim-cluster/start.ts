// `npm run sim`: with `--cluster` the simulator of several nodes, else that of one.
await import(process.argv.includes('--cluster') ? './main.ts' : '../sim/main.ts');
