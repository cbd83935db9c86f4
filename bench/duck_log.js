// SPDX-License-Identifier: BSD-2-Clause
// duck_log.js RECORDS.csv DATABASE: the records in DuckDB, then the trend query; for bench_log. Prints JSON.
const { createRequire } = require('module');
const fs = require('fs');
const from = createRequire(process.env.BENCH_DUCKDB + '/');
const { DuckDBInstance } = from('@duckdb/node-api');

const [records, database] = process.argv.slice(2);
const query = `select src_country, dst_port, proto, count(*) n, count(distinct src) from log
    where class = 'access' group by all order by n desc limit 50`;

async function main() {
    const instance = await DuckDBInstance.create(database, { threads: '1' });
    const db = await instance.connect();
    await db.run(`create table log as select time::timestamp_ns "time", src, dst, proto, src_port, dst_port, icmp_type, icmp_code,
        tcp_flags, ip_len, src_country, class from read_csv('${records}', all_varchar=false, ignore_errors=true)`);
    await db.run('checkpoint');
    const times = [];
    for (let i = 0; i < 5; i++) {
        const start = process.hrtime.bigint();
        await (await db.run(query)).getRows();
        times.push(Number(process.hrtime.bigint() - start) / 1e6);
    }
    const rows = (await (await db.run('select count(*) from log')).getRows())[0][0];
    times.sort((a, b) => a - b);
    console.log(JSON.stringify({ rows: Number(rows), bytes: fs.statSync(database).size, ms: times[2], best: times[0] }));
}
main().catch((e) => { console.error(String(e)); process.exit(1); });
