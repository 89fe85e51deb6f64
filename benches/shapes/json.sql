-- Three fifths of the text are one table with jsonb, and its values either hardly compress (`digests` is true) or compress
-- well. The rest are narrow tables that refer to it. `scale` is megabytes of COPY text, about.
CREATE TABLE public.document (
    id bigint PRIMARY KEY, tenant_id uuid NOT NULL, created_at timestamptz NOT NULL, body jsonb NOT NULL);
INSERT INTO public.document
    SELECT n, md5('tenant ' || n % 20)::uuid, '2024-01-01 00:00:00+00'::timestamptz + n * interval '7 seconds',
           jsonb_build_object('kind', (ARRAY['login', 'train', 'deploy'])[1 + n % 3], 'tenant', md5('tenant ' || n % 20)::uuid,
               'values', CASE WHEN :digests
                   THEN (SELECT jsonb_object_agg('digest_' || i, md5(n || ' ' || i)) FROM generate_series(1, 40) AS i)
                   ELSE (SELECT jsonb_agg(jsonb_build_object('step', i, 'state', 'waiting for an answer', 'by', 'user ' || n % 97))
                         FROM generate_series(1, 30) AS i) END)
    FROM generate_series(1, :scale * 300) AS n;
CREATE INDEX ON public.document (tenant_id, created_at);
CREATE INDEX ON public.document ((body ->> 'kind'));
SELECT format($$
    CREATE TABLE public.event_%1$s (
        id bigint PRIMARY KEY, document_id bigint NOT NULL REFERENCES public.document, tenant_id uuid NOT NULL,
        at timestamptz NOT NULL, kind text NOT NULL, amount numeric, note text);
    INSERT INTO public.event_%1$s
        SELECT n, 1 + n %% (%2$s * 300), md5('tenant ' || n %% 20)::uuid,
               '2024-01-01 00:00:00+00'::timestamptz + n * interval '7 seconds',
               (ARRAY['login', 'train', 'deploy'])[1 + n %% 3], n * 1.25, md5(n::text)
        FROM generate_series(1, %2$s * 800) AS n;
    CREATE INDEX ON public.event_%1$s (tenant_id, at);
$$, number, :scale)
FROM generate_series(1, 4) AS number \gexec
