// SPDX-License-Identifier: BSD-2-Clause
// duck_log.js RECORDS.csv DATABASE: the records in DuckDB; then a query a line from standard input, for bench_log.
// Prints JSON, a line each: what was made, then how long each query took.
const { createRequire } = require('module');
const fs = require('fs');
const readline = require('readline');
const from = createRequire(process.env.BENCH_DUCKDB + '/');
const { DuckDBInstance } = from('@duckdb/node-api');

const [records, database] = process.argv.slice(2);
const columns = `{'ts': 'BIGINT', 'src4': 'UINTEGER', 'src6': 'VARCHAR', 'dst4': 'UINTEGER', 'dst6': 'VARCHAR',
    'proto': 'UTINYINT', 'sport': 'USMALLINT', 'dport': 'USMALLINT', 'flags': 'UTINYINT', 'len': 'UINTEGER',
    'ttl': 'UTINYINT', 'cc': 'VARCHAR'}`;
const say = (what) => console.log(JSON.stringify(what));
const since = (start) => Number(process.hrtime.bigint() - start) / 1e6;

async function main() {
    const instance = await DuckDBInstance.create(database, { threads: '1' });
    const db = await instance.connect();
    const start = process.hrtime.bigint();
    await db.run(`create table log as select * from read_csv('${records}', header=false, columns=${columns})`);
    await db.run('checkpoint');
    const seconds = since(start) / 1000;
    const rows = (await (await db.run('select count(*) from log')).getRows())[0][0];
    say({ rows: Number(rows), bytes: fs.statSync(database).size, seconds });
    for await (const query of readline.createInterface({ input: process.stdin })) {
        const before = process.hrtime.bigint();
        await (await db.run(query)).getRows();
        say({ ms: since(before) });
    }
}
main().catch((e) => { console.error(String(e)); process.exit(1); });
